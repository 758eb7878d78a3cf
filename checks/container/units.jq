# A service of NixOS, as checks/evaluation has it, to the lines of its unit file.
def lines($key): if type == "array" then .[] else . end | "\($key)=\(.)";
def section($name): "[\($name)]", (to_entries[] | .key as $key | .value | lines($key));
def joined: map(select(. != "")) | unique | join(" ");

(.unitConfig + {
    Description: .description, After: (.after | joined), Before: (.before | joined), Wants: (.wants | joined),
    Conflicts: (.conflicts | joined)
} | with_entries(select(.value != "")) | section("Unit")),
(.serviceConfig + {
    Environment: [(.environment | to_entries[] | "\"\(.key)=\(.value)\"")]
} | section("Service"))
