import { Cron } from "croner";
import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";
import { readAnnotated, refuseFaults, type SettingFault } from "../functions/setting-annotations.ts";

const MISSED = ["skip", "run-once"] as const;

const timeZone = z.string().refine(isTimeZone, "expected a time zone such as Europe/Paris");

const settingFields = z.strictObject({
  schedule: z.string("expected a cron pattern such as 0 3 * * *, of five parts"),
  time_zone: timeZone.default("UTC"),
  missed: z.enum(MISSED, `expected one of ${MISSED.join(", ")}`).default("skip"),
});

export interface ScheduleSettings {
  /** Minute, hour, day of month, month, day of week. */
  readonly pattern: string;
  readonly timeZone: string;
  /** What becomes of a run whose time passed while no gateway was there. */
  readonly missed: (typeof MISSED)[number];
}

type Annotations = Readonly<Record<string, JsonValue>>;

/** @throws CallError `invalid_field` naming the annotation, its value and what was expected */
export function scheduleSettings(annotations: Annotations): ScheduleSettings {
  const { settings, faults } = readScheduleSettings(annotations);
  refuseFaults(faults);
  // Without faults there are settings.
  return settings as ScheduleSettings;
}

/** Settings where there are no faults. */
export function readScheduleSettings(annotations: Annotations): {
  readonly settings: ScheduleSettings | undefined;
  readonly faults: readonly SettingFault[];
} {
  const { values, faults } = readAnnotated(settingFields, annotations);
  if (values === undefined || faults.length > 0) return { settings: undefined, faults };
  const settings = { pattern: values.schedule, timeZone: values.time_zone, missed: values.missed };
  const message = patternFault(settings);
  if (message === undefined) return { settings, faults: [] };
  return { settings: undefined, faults: [{ path: ["annotations", "kiln/schedule"], value: values.schedule, message }] };
}

/** The next time after this one, milliseconds since 1970; undefined where there is none any more. */
export function nextRun({ pattern, timeZone }: ScheduleSettings, afterMs: number): number | undefined {
  return new Cron(pattern, { timezone: timeZone, mode: "5-part", paused: true }).nextRun(new Date(afterMs))?.getTime();
}

function patternFault(settings: ScheduleSettings): string | undefined {
  try {
    if (nextRun(settings, Date.now()) !== undefined) return undefined;
    return "expected a time that comes";
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `expected a cron pattern such as 0 3 * * *, of five parts: ${reason}`;
  }
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
