// Cuts lines behind their first word, and sends records to where the plugin `route` does.
#include "mr.hpp"

constexpr mr::Port<mr::Text, mr::Text> errors{"errors"};
constexpr mr::Port<mr::Text, uint64_t> lengths{"lengths"};

struct Cut {
    static constexpr auto outputs = mr::ports(errors, lengths);
    mr::Out<mr::Text, mr::Text> to_errors;
    mr::Out<mr::Text, uint64_t> to_lengths;

    mr::Status setup(const mr::Task &task) {
        mr::Status status = task.output(errors, to_errors);
        return status == mr::ok ? task.output(lengths, to_lengths) : status;
    }

    mr::Status map(mr::Line line, mr::Out<mr::Text, mr::Text> &out) {
        size_t end = line.text.find(' ');
        mr::Str key = line.text.substr(0, end), value = line.text.substr(end + 1);
        if (value.starts_with('!')) to_errors.emit(key, value);
        else if (key.starts_with('z')) to_lengths.emit(key, value.size());
        else out.emit(key, value);
        return mr::ok;
    }
};

MR_MAPPER(Cut);
MR_PLUGIN("cut", "0.1.0");
