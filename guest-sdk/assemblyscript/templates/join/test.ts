import "./main";
import { Test } from "./mr/testing";

const test = new Test();
test.job("order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\norder\t7\tpen\norder\t7\tink\norder\t7\tlamp\n?\n");
test.expect("7\tAda\tbook\n7\tAda\tpen\n7\tAda\tink\n7\tAda\tlamp\n");
test.expectCounter("orders without a user", 1);
test.expectRejects(1);
