//! The documents for authors do what they say: the commands of `docs/tutorial.md` are run in an empty folder, and the
//! recipes of `docs/cookbook.md` yield what stands below them, as Python and as components.

use std::fs;
use std::path::Path;

use super::project::{Project, detached, repository, succeeds};
use crate::support::process::{engine, run};

/// A part of a document: its heading, and its blocks of code by what stands behind the fence.
pub struct Section {
    pub title: String,
    pub blocks: Vec<(String, String)>,
}

impl Section {
    /// The block of this kind, if there is one.
    fn block(&self, kind: &str) -> Option<&str> {
        self.blocks.iter().find(|(name, _)| name == kind).map(|(_, text)| text.as_str())
    }
}

/// The sections of a document below its headings of the second level.
pub fn sections(file: &str) -> Vec<Section> {
    let text = fs::read_to_string(repository(file)).unwrap();
    let mut found: Vec<Section> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        if let (Some(title), false) = (line.strip_prefix("## "), is_inside) {
            found.push(Section { title: title.to_owned(), blocks: Vec::new() });
        } else if let (Some(kind), Some(section)) = (line.strip_prefix("```"), found.last_mut()) {
            is_inside = !is_inside;
            if is_inside {
                section.blocks.push((kind.to_owned(), String::new()));
            }
        } else if let (true, Some((_, block))) =
            (is_inside, found.last_mut().and_then(|last| last.blocks.last_mut()))
        {
            block.push_str(line);
            block.push('\n');
        }
    }
    found
}

/// Runs the commands of a language in an empty folder, with `mr-engine` on the PATH.
#[track_caller]
fn follow(title: &str, tools: Option<&str>) {
    let all = sections("docs/tutorial.md");
    let section = all.iter().find(|section| section.title == title).expect("a section");
    let folder = tempfile::tempdir().unwrap();
    let home = engine();
    let tools = tools.map_or(String::new(), |language| {
        format!(
            "{}:",
            repository("target/toolchains").canonicalize().unwrap().join(language).join("bin").display()
        )
    });
    let path = format!("PATH={tools}{}:$PATH && export PATH", home.parent().unwrap().display());
    let mut shell = detached(Path::new("/bin/sh"), folder.path());
    shell.arg("-ec").arg(format!("{path}\n{}", section.block("sh").expect("commands")));
    let ended = run(shell);
    assert_eq!(ended.code(), Some(0), "{title}: {}", ended.stderr);
    let stdout = String::from_utf8(ended.stdout).unwrap();
    assert!(stdout.ends_with("be\t2\nnot\t1\nor\t1\nto\t2\n"), "{title}: {stdout}");
}

#[test]
fn every_language_has_its_commands() {
    let titles: Vec<String> = sections("docs/tutorial.md").into_iter().map(|section| section.title).collect();
    let languages = ["Python", "JavaScript", "TypeScript", "Rust", "Go", "C", "C++", "Zig", "AssemblyScript"]
        .map(str::to_owned);
    assert_eq!(titles, languages);
}

#[test]
#[ignore = "make test-languages"]
fn the_tutorial_leads_to_a_job_in_interpreted_languages() {
    for title in ["Python", "JavaScript", "TypeScript"] {
        follow(title, None);
    }
}

#[test]
#[ignore = "make test-languages"]
fn the_tutorial_leads_to_a_job_in_compiled_languages() {
    for title in ["C", "C++", "Zig", "AssemblyScript", "Rust"] {
        follow(title, None);
    }
    // Go does not come from a registry that a folder can be made of.
    drop(Project::new("go", "empty"));
    follow("Go", Some("go"));
}

/// The roles that a recipe declares.
fn roles(recipe: &str) -> String {
    let declares = |marks: &[&str]| marks.iter().any(|mark| recipe.contains(mark));
    let roles = [
        ("mapper", declares(&["@mr.mapper"])),
        ("combiner", declares(&["@mr.combiner", "mr.folding"])),
        ("reducer", declares(&["@mr.reducer", "mr.folding"])),
        ("partitioner", declares(&["@mr.partitioner"])),
    ];
    let names: Vec<String> =
        roles.iter().filter(|(_, has)| *has).map(|(name, _)| format!("{name:?}")).collect();
    format!("[{}]", names.join(", "))
}

/// A project with a recipe and its case.
fn cooked(project: Project, section: &Section) -> Project {
    let recipe = section.block("python").expect("a plugin");
    project.edit("mr-engine.toml", "[\"mapper\"]", &roles(recipe));
    let case = project.dir().join("tests/lines");
    fs::write(project.dir().join("plugin.py"), recipe).unwrap();
    fs::write(case.join("input.txt"), section.block("text in").expect("an input")).unwrap();
    fs::write(case.join("expected.txt"), section.block("text out").expect("an output")).unwrap();
    for (name, content) in
        section.blocks.iter().filter_map(|(kind, text)| Some((kind.strip_prefix("text side ")?, text)))
    {
        fs::create_dir_all(case.join("sides")).unwrap();
        fs::write(case.join("sides").join(name), content).unwrap();
    }
    project
}

#[test]
fn recipes_yield_what_stands_below_them() {
    let all = sections("docs/cookbook.md");
    assert!(all.len() >= 7, "{}", all.len());
    for section in &all {
        let project = cooked(Project::untooled("python", "empty"), section);
        let mut python = detached(Path::new("/usr/bin/env"), &project.dir());
        python.args(["python3", "-c"]).arg(
            "import glob, os, plugin\nfrom mr import testing\nread = lambda name: open(f'tests/lines/{name}.txt').read()\n\
             sides = {os.path.basename(path): open(path, 'rb').read() for path in glob.glob('tests/lines/sides/*')}\n\
             got = testing.job(plugin, read('input'), side_inputs=sides).text()\nassert got == read('expected'), got",
        );
        succeeds(python);
    }
}

#[test]
#[ignore = "make test-languages"]
fn recipes_yield_the_same_in_the_engine() {
    for section in &sections("docs/cookbook.md") {
        cooked(Project::new("python", "empty"), section).passes();
    }
}
