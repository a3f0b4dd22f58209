import type { PlantedFaults } from "./session-world.ts";

/** Now and then a frame that gives credit does not arrive. */
export const lostCredit: PlantedFaults = {
  tamper: (chance) => ({
    toRunner: (frames) => frames.filter(({ type }) => type !== "credit" || !chance.happens(0.1)),
    toGateway: (frames) => frames.filter(({ type }) => type !== "credit" || !chance.happens(0.1)),
  }),
};

/** A runner lets a call run, once it has a container, though its gateway has just cancelled it. */
export const runAfterCancel: PlantedFaults = {
  wrapHandler: (task) => ({
    start: () => task.start(),
    data: (bytes, end) => task.data(bytes, end),
    drained: () => task.drained(),
    cancel() {
      if (task.state === "waiting") task.start();
      task.cancel();
    },
  }),
};

/** A runner accepts a call twice: it has taken two containers for it. */
export const doubleAccept: PlantedFaults = {
  wrapPort: (port) => ({
    refuse: (reason, scope) => port.refuse(reason, scope),
    pending: (phase) => port.pending(phase),
    head: (head) => port.head(head),
    write: (bytes) => port.write(bytes),
    consumed: (bytes) => port.consumed(bytes),
    finish: (finish) => port.finish(finish),
    accept(containerId) {
      port.accept(containerId);
      port.accept("another");
    },
  }),
};
