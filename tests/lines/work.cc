/* The same for C++: templates, methods, lambdas, namespaces, exceptions. */
#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace shop {

template <typename T> static inline T twice(T value)
{
    return value + value;
}

class Basket {
public:
    explicit Basket(int limit) : limit_(limit) {}
    void add(const std::string &name, int price)
    {
        if (price > limit_)
            throw name;
        prices_[name] = twice(price);
    }
    int sum() const;

private:
    int limit_;
    std::map<std::string, int> prices_;
};

int Basket::sum() const
{
    int all = 0;
    std::for_each(prices_.begin(), prices_.end(),
                  [&all](const std::pair<const std::string, int> &item) { all += item.second; });
    return all;
}

namespace {
struct Order {
    bool operator()(int a, int b) const { return a % 7 < b % 7; }
};
}

int fill(const std::vector<std::string> &names)
{
    struct Local {
        static int price(const std::string &name) { return static_cast<int>(name.size()) * 3; }
    };
    Basket basket(1000);
    std::vector<int> prices;
    for (const auto &name : names) {
        prices.push_back(Local::price(name));
        basket.add(name, prices.back());
    }
    std::sort(prices.begin(), prices.end(), Order());
    try {
        basket.add("gold", 10000);
    } catch (const std::string &name) {
        prices.push_back(twice(static_cast<int>(name.size())));
    }
    return basket.sum() + prices.front();
}

} // namespace shop

extern "C" int shop_fill(int count);

int shop_fill(int count)
{
    std::vector<std::string> names(static_cast<size_t>(count), "bread");
    return shop::fill(names);
}
