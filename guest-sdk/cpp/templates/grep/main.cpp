// Finds the lines that contain a text.
#include "mr.hpp"

struct Matches {
    std::string pattern;

    mr::Status setup(const mr::Task &task) {
        auto set = task.param("pattern");
        if (!set) return mr::fatal("parameter pattern is not set");
        pattern = *set;
        return mr::ok;
    }

    mr::Status map(mr::Line line, mr::Out<mr::Unit, mr::Text> &out) {
        if (line.text.find(pattern) != mr::Str::npos) {
            out.emit(mr::unit, line.text);
            mr::count("lines matched", 1);
        }
        return mr::ok;
    }
};

MR_MAPPER(Matches);
MR_PLUGIN("{{name}}", "0.1.0",
    {"param.pattern.type", "text"},
    {"param.pattern.required", "true"},
    {"param.pattern.help", "text that a line must contain"});
