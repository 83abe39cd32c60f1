//! Files that claim to be components: loaded as they are at submission, which compiles them and asks them
//! for their description. They are refused with a sentence, or they serve what they say.

use std::sync::OnceLock;

use mr_sandbox::{Sandbox, SandboxOptions};

use crate::file::MemoryFile;

/// Longest component that is compiled here, in bytes: the time of compiling is another limit's.
const BYTES_MAX: usize = 64 << 10;

/// Target: a component.
pub fn component(data: &[u8]) {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    if data.len() > BYTES_MAX {
        return;
    }
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(SandboxOptions::default()).unwrap());
    let file = MemoryFile::new(data);
    match sandbox.load(&file.path(), &mut |_| ()) {
        Ok(plugin) => {
            assert_eq!(plugin.bytes(), data.len() as u64);
            assert!(!plugin.roles().is_empty() || plugin.info().is_some());
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("plugin /proc/self/fd/") && said.len() < 64 << 10, "{said}");
            assert!(!said.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{said:?}");
        }
    }
}

/// A component that describes itself, one that traps in doing so, one with a role and no function.
pub fn seeds() -> Vec<Vec<u8>> {
    let describing = |body: &str| wat::parse_str(DESCRIBING.replace("BODY", body)).unwrap();
    let role = r#"(component (instance $i) (export "mr:engine/mapper@0.1.0" (instance $i)))"#;
    vec![describing("i32.const 64"), describing("unreachable"), wat::parse_str(role).unwrap()]
}

/// `plugin.describe` written by hand: three texts and one attribute lie in its memory.
const DESCRIBING: &str = r#"
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 0) "name1.2.3sdkmap.keytext")
    ;; name, version, sdk, attributes: address and length of each
    (data (i32.const 64) "\00\00\00\00\04\00\00\00" "\04\00\00\00\05\00\00\00" "\09\00\00\00\03\00\00\00"
      "\80\00\00\00\01\00\00\00")
    (data (i32.const 128) "\0c\00\00\00\07\00\00\00" "\13\00\00\00\04\00\00\00")
    (func (export "describe") (result i32) BODY))
  (core instance $i (instantiate $m))
  (type $attributes (list (tuple string string)))
  (type $info' (record (field "name" string) (field "version" string) (field "sdk" string)
    (field "attributes" $attributes)))
  (component $c
    (type $attributes (list (tuple string string)))
    (type $info' (record (field "name" string) (field "version" string) (field "sdk" string)
      (field "attributes" $attributes)))
    (import "info" (type $info (eq $info')))
    (import "describe" (func $describe (result $info)))
    (export $exported "info" (type $info))
    (export "describe" (func $describe) (func (result $exported))))
  (func $describe (result $info')
    (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
  (instance $plugin (instantiate $c (with "info" (type $info')) (with "describe" (func $describe))))
  (export "mr:engine/plugin@0.1.0" (instance $plugin)))
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// Else what the target says of good components says nothing.
    #[test]
    fn the_first_seed_is_a_plugin() {
        let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
        let file = MemoryFile::new(&seeds()[0]);
        let plugin = sandbox.load(&file.path(), &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plugin.info().unwrap().name, "name");
        assert_eq!(plugin.contract().map.0, Some(mr_model::DataType::Text));
    }
}
