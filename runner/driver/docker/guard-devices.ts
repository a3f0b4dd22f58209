import { isInteger, isList, member, members, objection, shown, strings, type Asked, type Rule } from "./guard-field.ts";
import type { Plain } from "./plain-data.ts";

/** Devices of the host, each with no more of read, write and mknod than the allow-list gives it. */
export const devices: Rule = (asked) => {
  if (asked.value === undefined) return undefined;
  if (!isList(asked.value)) return objection(asked, "expected a list of devices");
  const allowed = new Map(asked.permits.devices.map((entry) => splitDevice(entry)));
  for (const device of asked.value) {
    const path = shown(member(device, "PathOnHost"));
    const wanted = shown(member(device, "CgroupPermissions") ?? "") || "rwm";
    const given = allowed.get(path) ?? "";
    const covered = Array.from(wanted).every((one) => given.includes(one));
    if (!covered) return objection(asked, `device ${path} is not allowed`, `devices: ["${path}:${wanted}"]`);
  }
  return undefined;
};

function splitDevice(entry: string): [path: string, permissions: string] {
  const [path = "", permissions = "rwm"] = entry.split(":");
  return [path, permissions];
}

/** Devices that a driver such as NVIDIA's chooses. */
export const deviceRequests: Rule = (asked) => {
  if (asked.value === undefined) return undefined;
  if (!isList(asked.value)) return objection(asked, "expected a list of requests");
  const refused = asked.value.find((request) => !isAllowed(request, asked));
  if (refused === undefined) return undefined;
  const { driver, capabilities } = readRequest(refused);
  const permit = `deviceRequests: [{ driver: ${JSON.stringify(driver)}, capabilities: [${(capabilities ?? []).join(", ")}] }]`;
  return objection(asked, "these devices are not allowed", permit);
};

function isAllowed(request: Plain, { permits }: Asked): boolean {
  const { driver, capabilities, ids, count } = readRequest(request);
  if (capabilities === undefined || ids === undefined || members(member(request, "Options")).length > 0) return false;
  return permits.deviceRequests.some((permit) => {
    if (permit.driver !== driver || !capabilities.every((one) => permit.capabilities.includes(one))) return false;
    if (permit.maxCount === undefined) return true;
    // A count of -1 asks for all of them.
    return ids.length <= permit.maxCount && isInteger(count, 0, permit.maxCount);
  });
}

function readRequest(request: Plain) {
  const alternatives = member(request, "Capabilities") ?? [];
  const lists = isList(alternatives) ? alternatives.map((each) => strings(each)) : [undefined];
  return {
    driver: member(request, "Driver") ?? "",
    capabilities: lists.some((list) => list === undefined) ? undefined : lists.flatMap((list) => list ?? []),
    ids: strings(member(request, "DeviceIDs")),
    count: member(request, "Count") ?? 0,
  };
}
