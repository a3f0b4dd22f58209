import { CallError } from "../../../core/call-error.ts";
import type { ContainerTask } from "../../../core/container-task.ts";

export interface LogConfig {
  Type: string;
  Config: Record<string, string>;
}

// Docker's syslog driver also takes unix sockets, which would be the Docker host's own.
const ADDRESS = /^(?:udp|tcp|tcp\+tls):\/\/[^\s/]/;

/** Where a container's output goes. With no address nowhere: nothing of it ever fills the host's disk. */
export function syslogOptions({ syslogUrl, appId, fnId }: ContainerTask, ca = ""): LogConfig {
  if (syslogUrl === "") return { Type: "none", Config: {} };
  if (!ADDRESS.test(syslogUrl)) {
    throw new CallError(
      "syslog_unavailable",
      `Syslog Unavailable: "${syslogUrl}" is not udp://, tcp:// or tcp+tls:// and an address`,
    );
  }
  return {
    Type: "syslog",
    Config: {
      "syslog-address": syslogUrl,
      "syslog-facility": "user",
      "syslog-format": "rfc5424",
      ...(ca !== "" && syslogUrl.startsWith("tcp+tls:") ? { "syslog-tls-ca-cert": ca } : {}),
      tag: `app_id=${plain(appId)},fn_id=${plain(fnId)}`,
    },
  };
}

/** Docker reads the tag as a Go template, and an id comes over the wire. */
function plain(id: string): string {
  return id.replaceAll(/[^\w.-]/g, "_");
}
