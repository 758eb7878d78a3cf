#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sops_install_fuzz::audit_config(data);
});
