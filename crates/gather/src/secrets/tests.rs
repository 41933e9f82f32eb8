//! The master key and what follows from it.

use super::*;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use sha2::Digest;

/// RFC 5869, appendix A: cases 1 to 3, the ones with SHA-256.
#[test]
fn hkdf_agrees_with_the_rfc() {
    let long = |from: u8| (from..=from + 0x4f).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            (0..=0x0c).collect(),
            (0xf0..=0xf9).collect(),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            long(0),
            long(0x60),
            long(0xb0),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (key, salt, info, expected) in cases {
        let mut out = vec![0; expected.len() / 2];
        Hkdf::<Sha256>::new(Some(&salt), &key)
            .expand(&info, &mut out)
            .unwrap();
        assert_eq!(hex::encode(&out), expected);
    }
}

/// Fixed for good: another derivation would lock every deployment out of its own database.
#[test]
fn derived_secrets_never_change() {
    let key = MasterKey::parse(&"0b".repeat(32)).unwrap();
    assert_eq!(
        key.derive("identity"),
        "c436fa9a07893b3860c580018fe00535ef419c51d7280aa0ab888c08e0b46bc0"
    );
    assert_eq!(
        key.role_password("gather_identity"),
        "64e801b0739c78a0feca695553df0ca7aabec70cb8fcfa426b9fe5623f773312"
    );
    assert_ne!(
        key.role_password("gather_site"),
        key.role_password("gather_identity")
    );
}

/// Fixed for good, as the functions' own way of making them is; computed apart from both.
#[test]
fn link_tokens_never_change() {
    let key = MasterKey::parse(&"0b".repeat(32)).unwrap();
    assert_eq!(
        key.derive(LINK),
        "f439db93cd728e9661ace26c89f4dc4c7d6a4d644105d3b4a7a7037a63d45bb8"
    );
    let id = "0192f5a0-1234-7abc-8def-0123456789ab".parse().unwrap();
    assert_eq!(
        link_token(&key, id),
        "AZL1oBI0eryN7wEjRWeJq_YN4JfJAhrLmMN-J7PErULwk4VtlvM8kJnNgbB8HRgB"
    );
}

/// The exchange of RFC 5802: the server proves with the key in the verifier that it knows the password, and the
/// client with its own, whose hash is the verifier's.
#[test]
fn client_and_server_agree_by_a_password_verifier() {
    let verifier = password_verifier("pencil");
    let (scheme, keys) = verifier.rsplit_once('$').unwrap();
    let salt = scheme.strip_prefix("SCRAM-SHA-256$4096:").unwrap();
    assert_eq!(BASE64_STANDARD.decode(salt).unwrap().len(), 16);
    assert_ne!(verifier, password_verifier("pencil"), "the salt is random");
    let (stored_key, server_key) = keys.split_once(':').unwrap();
    let [stored_key, server_key] =
        [stored_key, server_key].map(|key| BASE64_STANDARD.decode(key).unwrap());

    let mut client = ScramSha256::new(b"pencil", ChannelBinding::unsupported());
    let text = |message: &[u8]| String::from_utf8(message.to_vec()).unwrap();
    let first = text(client.message())
        .strip_prefix("n,,")
        .unwrap()
        .to_owned();
    let nonce = format!("{}server", first.strip_prefix("n=,r=").unwrap());
    let challenge = format!("r={nonce},s={salt},i=4096");
    client.update(challenge.as_bytes()).unwrap();
    let last = text(client.message());
    let (said, proof) = last.rsplit_once(",p=").unwrap();
    assert_eq!(said, format!("c=biws,r={nonce}"));
    let said = format!("{first},{challenge},{said}");

    let signature = hmac(&stored_key, said.as_bytes());
    let proof = BASE64_STANDARD.decode(proof).unwrap();
    let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    assert_eq!(Sha256::digest(client_key).as_slice(), stored_key);
    let proof = BASE64_STANDARD.encode(hmac(&server_key, said.as_bytes()));
    client.finish(format!("v={proof}").as_bytes()).unwrap();
}

#[test]
fn accepts_both_ways_of_writing_a_key() {
    let bytes = random::<32>();
    let hex = MasterKey::parse(&format!("{}\n", hex::encode(bytes))).unwrap();
    let base64 = MasterKey::parse(&BASE64_STANDARD.encode(bytes)).unwrap();
    assert_eq!(hex.0, bytes);
    assert_eq!(base64.0, bytes);
    for bad in [
        "",
        "abc",
        &"g".repeat(64),
        &"a".repeat(62),
        &format!("é{}", "a".repeat(62)),
    ] {
        assert!(MasterKey::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_file_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let first = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| MasterKey::load_or_create(folder.path()).unwrap().0))
            .collect();
        let keys: Vec<_> = starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        assert!(
            keys.windows(2).all(|pair| pair[0] == pair[1]),
            "starts at once agree on one key"
        );
        keys[0]
    });
    assert_eq!(MasterKey::load(folder.path()).unwrap().unwrap().0, first);

    let path = folder.path().join(FILE_NAME);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = MasterKey::load(folder.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

const MANIFEST: &str = r#"
    spin_manifest_version = 2
    application.name = "x"
    [variables]
    identity_key = { required = true, secret = true }
    link_key = { required = true, secret = true }
    position_key = { required = true, secret = true }
    people_key = { required = true, secret = true }
    token_key = { required = true, secret = true }
    skills_sandbox_key = { required = true, secret = true }
    skill_review_sandbox_key = { required = true, secret = true }
    other_key = { default = "", secret = true }
    [component.skills]
    source = "c.wasm"
    tool.gather.sandbox = ["upload"]
    [component.skill-review]
    source = "a.wasm"
    tool.gather.role = "gather_skill_review"
    tool.gather.sandbox = ["probe"]
    [component.none]
    source = "b.wasm"
"#;

#[test]
fn functions_get_the_database_under_their_own_role() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spin.toml");
    fs::write(&path, MANIFEST).unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let key = MasterKey::parse(&"0b".repeat(32)).unwrap();
    let url = Url::parse("postgres://admin:secret@db.example:5433/app?sslmode=require").unwrap();

    let variables = function_variables(
        &manifest,
        &url,
        &key,
        Platform {
            public_url: "https://gather.example/",
            sandbox_url: "http://sandbox.example:3002",
            egress_url: "http://egress.example:3004/",
            provisioner_url: "http://provisioner.example:8091/",
            internal_url: "http://127.0.0.1:3000/",
            cors_origins: "https://a.example",
            trusted_proxies: "10.0.0.0/8",
            rate_limits: "off",
        },
    )
    .unwrap();
    let password = key.role_password("gather_skill_review");
    assert_eq!(
        variables["skill_review_database_url"],
        format!("postgres://gather_skill_review:{password}@db.example:5433/app?sslmode=require")
    );
    assert_eq!(variables["pg_host"], "db.example:5433");
    assert_eq!(variables["public_url"], "https://gather.example");
    for name in ["identity_key", "people_key", "token_key"] {
        assert_eq!(variables[name].len(), 64, "{name}");
    }
    assert_ne!(variables["identity_key"], variables["people_key"]);
    assert_ne!(variables["identity_key"], variables["token_key"]);
    assert_ne!(variables["people_key"], variables["token_key"]);
    let shared: serde_json::Value = serde_json::from_str(&variables["platform"]).unwrap();
    assert_eq!(shared["public_url"], "https://gather.example");
    assert_eq!(shared["cors_origins"], "https://a.example");
    assert_eq!(shared["trusted_proxies"], "10.0.0.0/8");
    assert_eq!(shared["rate_limits"], "off");
    let visitor_key = shared["visitor_key"].as_str().unwrap();
    assert_eq!(variables["link_key"].len(), 64);
    assert_eq!(visitor_key.len(), 64);
    assert_ne!(visitor_key, variables["link_key"]);
    assert_ne!(variables["link_key"], variables["identity_key"]);
    assert_eq!(variables["sandbox_url"], "http://sandbox.example:3002");
    assert_eq!(variables["egress_url"], "http://egress.example:3004");
    assert_eq!(
        variables["provisioner_url"],
        "http://provisioner.example:8091"
    );
    assert_eq!(variables["internal_url"], "http://127.0.0.1:3000");
    assert_eq!(variables["egress_public_key"].len(), 64);
    assert_eq!(variables["exchange_callers"], "{}");
    assert_ne!(
        variables["skills_sandbox_key"],
        variables["skill_review_sandbox_key"]
    );
    assert_eq!(variables["position_key"].len(), 64);
    assert_ne!(variables["position_key"], visitor_key);
    assert_eq!(variables.len(), 17);

    let socket = Url::parse("postgres:///app?host=/run/postgresql").unwrap();
    let nowhere = Platform {
        public_url: "x",
        sandbox_url: "x",
        egress_url: "x",
        provisioner_url: "x",
        internal_url: "x",
        cors_origins: "",
        trusted_proxies: "",
        rate_limits: "",
    };
    assert!(function_variables(&manifest, &socket, &key, nowhere).is_err());
}
