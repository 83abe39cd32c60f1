// Where `throw`, a failed assertion and a bad index end.

import { beginPanic, describe } from "./current";
import { hostLog } from "./host";

/** In place of `abort`: a trap has no words, so they go to the log ahead of it, with the record. */
export function mrAbort(why: string | null = null, file: string | null = null, line: u32 = 0, column: u32 = 0): void {
  if (beginPanic()) {
    let text = "panicked: " + (why ? why : "abort was called");
    if (file) text += "; at " + file + ":" + line.toString() + ":" + column.toString();
    hostLog(4, text + describe());
  }
  unreachable();
}
