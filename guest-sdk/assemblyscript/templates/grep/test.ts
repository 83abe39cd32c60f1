import "./main";
import { Test } from "./mr/testing";

const test = new Test();
test.param("pattern", "rr");
test.map("an error\nall is well\nsorry\n");
test.expect("an error\nsorry\n");
test.expectCounter("lines matched", 2);
