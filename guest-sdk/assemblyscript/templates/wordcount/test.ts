import "./main";
import { Test } from "./mr/testing";

const test = new Test();
test.job("to be\nor not to be\n");
test.expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
