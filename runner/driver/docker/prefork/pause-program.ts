/** Machine code that sleeps for ever, by the Engine's name of the architecture. */
const CODE: Readonly<Record<string, { readonly elfMachine: number; readonly bytes: readonly number[] }>> = {
  x86_64: {
    elfMachine: 62,
    // again: mov eax, 34 (pause); syscall; jmp again
    bytes: [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7],
  },
  aarch64: {
    elfMachine: 183,
    // again: mov x0..x3, 0; mov x8, 73 (ppoll); svc 0; b again
    bytes: [0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800928, 0xd4000001, 0x17fffffa].flatMap(littleEndian),
  },
};

const LOAD_ADDRESS = 0x400000n;
const FILE_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/** A static Linux program of some hundred bytes that does nothing; undefined for an architecture nobody wrote it for. */
export function pauseProgram(architecture: string): Buffer | undefined {
  const code = CODE[architecture];
  return code === undefined ? undefined : elfProgram(code.elfMachine, code.bytes);
}

/** Machine code as a file that Linux runs from its first byte. @param machine - ELF's number of the architecture */
export function elfProgram(machine: number, code: ArrayLike<number>): Buffer {
  const start = FILE_HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const program = Buffer.alloc(start + code.length);
  writeFileHeader(program, machine, LOAD_ADDRESS + BigInt(start));
  writeProgramHeader(program.subarray(FILE_HEADER_BYTES), program.length);
  program.set(code, start);
  return program;
}

/** ELF, 64 bits, little endian, an executable with one program header and no sections. */
function writeFileHeader(at: Buffer, machine: number, entry: bigint): void {
  at.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  at.writeUInt16LE(2, 16);
  at.writeUInt16LE(machine, 18);
  at.writeUInt32LE(1, 20);
  at.writeBigUInt64LE(entry, 24);
  at.writeBigUInt64LE(BigInt(FILE_HEADER_BYTES), 32);
  at.writeUInt16LE(FILE_HEADER_BYTES, 52);
  at.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  at.writeUInt16LE(1, 56);
  at.writeUInt16LE(64, 58);
}

/** The whole file, readable and executable, at the load address. */
function writeProgramHeader(at: Buffer, fileBytes: number): void {
  at.writeUInt32LE(1, 0);
  at.writeUInt32LE(5, 4);
  at.writeBigUInt64LE(LOAD_ADDRESS, 16);
  at.writeBigUInt64LE(LOAD_ADDRESS, 24);
  at.writeBigUInt64LE(BigInt(fileBytes), 32);
  at.writeBigUInt64LE(BigInt(fileBytes), 40);
  // Pages of up to 64 KiB, as some arm64 kernels have them.
  at.writeBigUInt64LE(0x10000n, 48);
}

function littleEndian(word: number): readonly number[] {
  return [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24];
}
