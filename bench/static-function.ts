import { engineClient } from "../kiln/testing/engine-client.ts";
import { type Docker } from "../runner/driver/docker/engine.ts";
import { ensureProgramImage } from "../runner/driver/docker/prefork/pause-image.ts";
import { elfProgram } from "../runner/driver/docker/prefork/pause-program.ts";

/**
 * A function of next to nothing: it answers every `POST` with `{}`. What Docker takes is then all there is of a cold
 * start. For x86_64, in the words of GNU as with `.intel_syntax noprefix`:
 *
 *   mov eax, 95        # umask(0)
 *   xor edi, edi
 *   syscall
 *   mov eax, 41        # socket(AF_UNIX, SOCK_STREAM, 0)
 *   mov edi, 1
 *   mov esi, 1
 *   xor edx, edx
 *   syscall
 *   mov r12d, eax
 *   mov eax, 49        # bind
 *   mov edi, r12d
 *   lea rsi, [rip+address]
 *   mov edx, 2+target_end-target
 *   syscall
 *   mov eax, 50        # listen(fd, 16)
 *   mov edi, r12d
 *   mov esi, 16
 *   syscall
 *   mov eax, 88        # symlink
 *   lea rdi, [rip+name]
 *   lea rsi, [rip+link]
 *   syscall
 *   sub rsp, 8192
 * accept:
 *   mov eax, 43        # accept(fd, 0, 0)
 *   mov edi, r12d
 *   xor esi, esi
 *   xor edx, edx
 *   syscall
 *   mov r13d, eax
 * read:
 *   xor eax, eax       # read(conn, rsp, 8192)
 *   mov edi, r13d
 *   mov rsi, rsp
 *   mov edx, 8192
 *   syscall
 *   test eax, eax
 *   jle close
 *   cmp byte ptr [rsp], 'P'   # a body by itself is no request
 *   jne read
 *   mov eax, 1         # write
 *   mov edi, r13d
 *   lea rsi, [rip+answer]
 *   mov edx, answer_end-answer
 *   syscall
 *   jmp read
 * close:
 *   mov eax, 3
 *   mov edi, r13d
 *   syscall
 *   jmp accept
 * address: .short 1
 * target: .asciz "/tmp/iofs/lsnr.sock.tmp"
 * target_end:
 * name: .asciz "lsnr.sock.tmp"
 * link: .asciz "/tmp/iofs/lsnr.sock"
 * answer: .ascii "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
 * answer_end:
 */
const CODE = Buffer.from(
  [
    "uF8AAAAx/w8FuCkAAAC/AQAAAL4BAAAAMdIPBUGJxLgxAAAARInnSI01gAAAALoaAAAADwW4MgAAAESJ574QAAAADwW4WAAAAEiN",
    "PXgAAABIjTV/AAAADwVIgewAIAAAuCsAAABEiecx9jHSDwVBicUxwESJ70iJ5roAIAAADwWFwH4egDwkUHXnuAEAAABEie9IjTVR",
    "AAAAukgAAAAPBevPuAMAAABEie8PBeuyAQAvdG1wL2lvZnMvbHNuci5zb2NrLnRtcABsc25yLnNvY2sudG1wAC90bXAvaW9mcy9s",
    "c25yLnNvY2sASFRUUC8xLjEgMjAwIE9LDQpDb250ZW50LVR5cGU6IGFwcGxpY2F0aW9uL2pzb24NCkNvbnRlbnQtTGVuZ3RoOiAy",
    "DQoNCnt9",
  ].join(""),
  "base64",
);

const X86_64 = 62;
const REPOSITORY = "kiln-bench-static";

/** The image of that function, made here; undefined for a daemon of another architecture. */
export async function buildStaticImage(docker: Docker): Promise<string | undefined> {
  const { Architecture: architecture } = (await docker.info()) as { readonly Architecture: string };
  if (architecture !== "x86_64") return undefined;
  return await ensureProgramImage(engineClient(docker), elfProgram(X86_64, CODE), REPOSITORY);
}
