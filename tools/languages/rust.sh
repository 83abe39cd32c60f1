#!/bin/sh
# rust.sh DIR: what plugins in Rust are built with is what the engine is built with; DIR stays empty.
exec sh "$(dirname "$0")/../setup.sh"
