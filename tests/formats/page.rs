//! What users are told in `docs/formats.md`: its commands are run one after the other, over its own files.
