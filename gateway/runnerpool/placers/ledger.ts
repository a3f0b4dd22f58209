import type { CapacityNews, Runner, RunnerLabels, RunnerPool } from "../runnerpool.ts";
import { RunnerView } from "./runner-view.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What a placer knows of the runners of its pools, kept by their news. */
export class Ledger {
  readonly #room: WaitingRoom;
  readonly #views = new WeakMap<Runner, RunnerView>();
  /** A pool gives out the same list until its members change. */
  readonly #lists = new WeakMap<readonly Runner[], readonly RunnerView[]>();
  readonly #followed = new WeakSet<RunnerPool>();

  constructor(room: WaitingRoom) {
    this.#room = room;
  }

  /** Hears a pool's news from now on, for as long as there is one. */
  follow(pool: RunnerPool): void {
    if (this.#followed.has(pool)) return;
    this.#followed.add(pool);
    pool.onCapacity((news) => this.#hear(news));
  }

  /** Those of a pool's runners that carry the labels. */
  viewsOf(runners: readonly Runner[], labels: RunnerLabels | undefined): readonly RunnerView[] {
    let views = this.#lists.get(runners);
    if (views === undefined) this.#lists.set(runners, (views = runners.map((runner) => this.#viewOf(runner))));
    if (labels === undefined) return views;
    const wished = Object.entries(labels);
    return views.filter(({ runner }) => wished.every(([name, value]) => runner.labels?.[name] === value));
  }

  #viewOf(runner: Runner): RunnerView {
    let view = this.#views.get(runner);
    if (view === undefined) this.#views.set(runner, (view = new RunnerView(runner)));
    return view;
  }

  #hear(news: CapacityNews): void {
    if (news.kind === "members") return this.#room.probeSoon();
    const view = this.#viewOf(news.runner);
    if (news.kind === "ended") {
      // A refusal frees nothing, and what failed may not have left its container behind.
      if (!news.placed || news.code !== undefined) return;
      view.returned(news.call.affinityKey, news.call.call.concurrency);
    }
    this.#room.serve(view);
  }
}
