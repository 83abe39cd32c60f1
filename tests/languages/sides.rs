//! Side inputs in every language: a plugin that emits all of one, which is longer than any SDK reads at once,
//! yields its very bytes; and where the job has none, it says so.

use std::fs;
use std::path::Path;

use super::project::Project;
use crate::support::Job;
use crate::support::random::Random;

/// Length of the side input in bytes: some MiB, and no multiple of anything.
const BYTES: usize = (5 << 19) + 4_321;

/// A plugin that emits the side input `blob` for each line.
fn source(language: &str) -> &'static str {
    match language {
        "python" => {
            r#"import mr

@mr.mapper(mr.lines, key=mr.unit, value=mr.bytes_)
class Emit:
    def __init__(self):
        self.blob = mr.side_input("blob").read()

    def map(self, line):
        yield None, self.blob
"#
        }
        "javascript" => {
            r#"import * as mr from "./mr/index.js";

export const mapper = mr.mapper({
  key: mr.unit,
  value: mr.bytes,
  setup: (task) => task.sideInput("blob").read(),
  map(line, out, blob) {
    out.emit(null, blob);
  },
});
"#
        }
        "rust" => {
            r#"use guest_sdk::prelude::*;

struct Emit(Vec<u8>);

impl Mapper for Emit {
    type Input = Lines;
    type Output = Emitter<(), Bytes>;

    fn setup(task: &Task) -> Result<Self> {
        task.side_input("blob")?.read_all(1 << 30).map(Emit)
    }

    fn map(&mut self, _: Line<'_>, out: &mut Self::Output) -> Result {
        out.emit((), &self.0);
        Ok(())
    }
}

guest_sdk::export! { name: "emit", mapper: Emit }
"#
        }
        "go" => {
            r#"package main

import "example.com/my-empty/mr"

type Emit struct{ blob []byte }

func (e *Emit) Setup(task *mr.Task) (err error) {
	e.blob, err = task.SideInput("blob")
	return err
}

func (e *Emit) Map(line mr.Line, out *mr.Out[mr.Unit, mr.Text]) error {
	out.Emit(mr.Unit{}, e.blob)
	return nil
}

func init() {
	mr.Register(mr.Plugin{Name: "emit", Mapper: mr.Lines(&Emit{})})
}

func main() {}
"#
        }
        "c" => {
            r#"#include "mr.h"

static mr_buf blob;

static mr_status setup(const mr_task *task) {
    (void)task;
    return mr_side_input("blob", &blob) ? MR_OK : mr_fatal("the job has no side input blob");
}

static mr_status map(mr_line line, mr_out *out) {
    (void)line;
    mr_emit(out, MR_UNIT, mr_view(&blob));
    return MR_OK;
}

MR_MAPPER(.setup = setup, .lines = map, .key = "unit", .value = "text");
MR_PLUGIN(.name = "emit", .version = "0.1.0");
"#
        }
        "cpp" => {
            r#"#include "mr.hpp"

struct Emit {
    std::string blob;

    mr::Status setup(const mr::Task &task) {
        auto found = task.side_input("blob");
        if (!found) return mr::fatal("the job has no side input blob");
        blob = std::move(*found);
        return mr::ok;
    }

    mr::Status map(mr::Line, mr::Out<mr::Unit, mr::Text> &out) {
        out.emit(mr::unit, blob);
        return mr::ok;
    }
};

MR_MAPPER(Emit);
MR_PLUGIN("emit", "0.1.0");
"#
        }
        "zig" => {
            r#"const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "emit" };

pub const mapper = struct {
    blob: []const u8,

    pub fn setup(task: mr.Task) !@This() {
        return .{ .blob = try task.sideInput("blob") };
    }

    pub fn map(self: *@This(), _: mr.Line, out: *mr.Out(void, mr.Text)) !void {
        out.emit({}, self.blob);
    }
};
"#
        }
        "assemblyscript" => {
            r#"import { Line, LineMapper, Out, Plugin, Task, Text, Unit, register } from "./mr";

class Emit extends LineMapper<Unit, Text> {
  private blob: Text = new Text();

  setup(task: Task): void {
    this.blob = task.sideInput("blob");
  }

  map(line: Line, out: Out<Unit, Text>): void {
    out.emit(new Unit(), this.blob);
  }
}

const plugin = new Plugin("emit", "0.1.0");
plugin.mapper = new Emit();
register(plugin);
"#
        }
        _ => panic!("{language} has no plugin here"),
    }
}

/// The file of a project that the plugin is in.
pub fn entry(dir: &Path) -> std::path::PathBuf {
    let names = [
        "plugin.py",
        "plugin.js",
        "plugin.ts",
        "src/lib.rs",
        "main.go",
        "main.c",
        "main.cpp",
        "main.zig",
        "main.ts",
    ];
    names.map(|name| dir.join(name)).into_iter().find(|path| path.exists()).expect("an entry")
}

#[track_caller]
fn check(language: &str) {
    let project = Project::new(language, "empty");
    fs::write(entry(&project.dir()), source(language)).unwrap();
    let component = project.built();
    let blob = Random::new(7).bytes(BYTES);
    let job = || Job::of(&component).input("line\n").args("--reducers 0 --output-format raw --max-record 4M");
    job().file("other/blob", &blob).args("--side blob=other/blob").check_whole(&blob);
    job().file("other/blob", "").args("--side blob=other/blob").check_whole(b"");
    job().fails(6, &["the job has no side input", "blob"]);
}

#[test]
#[ignore = "make test-languages"]
fn every_language_reads_all_of_one() {
    for language in ["rust", "python", "javascript", "go", "c", "cpp", "zig", "assemblyscript"] {
        eprintln!("{language}");
        check(language);
    }
}
