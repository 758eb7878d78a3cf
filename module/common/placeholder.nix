# The text that stands for a secret in a template. The hash keeps one name's text from being part of another's.
let
  marked = mark: name: "<SOPS:${builtins.hashString "sha256" name}:${mark}>";
in
{
  # What core/src/escape.rs can write.
  escapes = [
    "json"
    "shell"
    "systemd-env"
    "url"
    "base64"
  ];

  plain = marked "PLACEHOLDER";
  escaped = marked;
}
