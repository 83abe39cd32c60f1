import "./main";
import { Test } from "./mr/testing";

const test = new Test();
test.map("a\nb\n");
test.expect("a\nb\n");
