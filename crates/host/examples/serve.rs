//! spike
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let host = host::Host::start(host::Options {
            manifest: std::env::args().nth(1).unwrap().into(),
            listen: "127.0.0.1:3999".parse().unwrap(),
            metrics_listen: None,
            public_metrics: true,
            variables: Default::default(),
            state_dir: "/tmp/gather/state".into(),
            key_value_url: None,
            limits: Default::default(),
            workers: None,
        })
        .await
        .unwrap();
        println!("serving {}", host.address());
        tokio::signal::ctrl_c().await.unwrap();
        host.shutdown(std::time::Duration::from_secs(5)).await;
    });
}
