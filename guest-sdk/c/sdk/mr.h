/* Write plugins for mr-engine in C: typed records in, typed records out.
 *
 * A plugin is one C file that includes this header, defines functions that map, combine or reduce,
 * and names them at its end:
 *
 *     static mr_status map(mr_line line, mr_out *out) {
 *         mr_words words = mr_split(line.text);
 *         for (mr_str word; mr_next_word(&words, &word);) mr_sum(out, word, 1);
 *         return MR_OK;
 *     }
 *     MR_MAPPER(.lines = map, .key = "text", .value = "u64");
 *     MR_PLUGIN(.name = "words", .version = "0.1.0");
 *
 * In reading order: base.h (strings, panics, errors), codec.h (encodings of keys and values),
 * words.h (white space, 64 bytes at a time), emit.h (ways out), input.h (ways in), task.h
 * (parameters, counters, log, side inputs), run.h (what the engine calls). The README has examples.
 */
#pragma once

#include "base.h"
#include "codec.h"
#include "words.h"
#include "emit.h"
#include "input.h"
#include "task.h"

#ifndef MR_SDK
#define MR_SDK "mr-c 0.1.0"
#endif

#include "run.h"
