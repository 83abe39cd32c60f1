// The double of the engine: named outputs, and groups by a prefix of the key.
#define MR_ALL_ROLES
#define MR_HAS_MAPPER
#define MR_HAS_REDUCER
#include "mr.hpp"

constexpr mr::Port<mr::Text, mr::Unit> odd{"odd"};
constexpr mr::Port<mr::Text, uint64_t> large{"large"};

// Lines of a name and a number; those without a number are odd.
struct Pairs {
    static constexpr auto outputs = mr::ports(odd);
    mr::Out<mr::Text, mr::Unit> to_odd;
    bool stray = false;

    mr::Status setup(const mr::Task &task) {
        stray = task.param("stray").has_value();
        return task.partitions() == 0 || stray ? task.output(odd, to_odd) : mr::ok;
    }

    mr::Status map(mr::Line line, mr::Out<mr::Tuple<mr::Text, mr::Desc<uint64_t>>, uint64_t> &out) {
        size_t space = line.text.find(' ');
        if (space == mr::Str::npos) {
            to_odd.emit(line.text, mr::unit);
            return mr::ok;
        }
        uint64_t n;
        mr::Str number = line.text.substr(space + 1);
        if (!mr_parse_u64(mr_bytes(number.data(), number.size()), &n)) return mr::invalid("no number");
        out.emit(std::tuple(line.text.substr(0, space), n), n);
        return mr::ok;
    }
};

struct Joined {
    static constexpr auto outputs = mr::ports(large, odd);
    mr::Out<mr::Text, uint64_t> to_large;

    mr::Status setup(const mr::Task &task) { return task.output(large, to_large); }

    mr::Status reduce(std::tuple<std::string> key, mr::Values<uint64_t> &values, mr::Out<mr::Text, mr::Text> &out) {
        std::string all;
        for (uint64_t n : values) {
            if (!all.empty()) all += ',';
            all += std::to_string(n);
            if (n > 9) to_large.emit(std::get<0>(key), n);
        }
        out.emit(std::get<0>(key), all);
        return mr::ok;
    }
};

MR_MAPPER(Pairs);
MR_REDUCER(Joined);
MR_PLUGIN("double", "0.1.0", {"reduce.group", "1"});

#include "test.h"

int main() {
    mr_test_job("b 1\na 2\na 10\nb 3\na 11\na 1\n");
    mr_test_expect("a\t11,10,2,1\nb\t3,1\n");
    mr_test_expect_output("large", "a\t11\na\t10\n");
    mr_test_expect_output("odd", "");
    mr_test_map("x\nb 1\ny\n");
    mr_test_expect_output("odd", "x\ny\n");
    // In a job with a reducer the mapper has none.
    mr_test_param("stray", "yes");
    mr_test_job("b 1\n");
    mr_test_expect_error("there is no output odd in this stage");
    static mr_facts facts;
    mr_gather_facts(&facts);
    bool told = false;
    for (size_t i = 0; i < facts.len; i++)
        told = told || (mr::Str(facts.facts[i].name) == "outputs" && mr::Str(facts.facts[i].value) == "odd,large");
    if (!told) mr_test_differ("outputs", "odd,large", "(none)");
    return mr_test_end();
}
