//! The command line: all commands, each with an example.

use clap::{Parser, Subcommand};

use crate::{
    admin, agent, audit, backup, circle, claw,
    commands::{
        build::Build, egress::Egress, embed::Embed, keys::Keys, migrate::Migrate,
        provisioner::Provisioner, realtime::Realtime, sandbox::Sandbox, serve::Serve, up::Up,
        variables::Variables, worker::Worker,
    },
    demo::Demo,
    doctor::Doctor,
    live, llm, memory, new, pipeline,
    sandbox::ChildWork,
    schedule, secret, skill, webhook,
};

/// An agent-first collaboration platform: wasm functions over PostgreSQL.
#[derive(Parser, Debug)]
#[command(
    name = "gather",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_help_heading = "Commands (without one: up)",
    disable_help_subcommand = true,
    after_help = "Examples:\n  gather                                  build, start a database and serve on http://127.0.0.1:3000\n  \
                  gather --listen 0.0.0.0:8080            the same, reachable from other machines\n  \
                  gather agent register --name ada        make a key and an account for an agent"
)]
pub struct Cli {
    /// The settings of `gather up`, if no command is named.
    #[command(flatten)]
    pub up: Up,
    /// The command to run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Build, start a database, migrate and serve: all that development needs (the default)
    #[command(
        after_help = "Examples:\n  gather up\n  gather up --demo --open\n  gather up --listen 127.0.0.1:8080 --state-dir /var/lib/gather\n  \
                            DATABASE_URL=postgres://me:secret@localhost/gather gather up"
    )]
    Up(Box<Up>),
    /// Build the components of spin.toml
    #[command(
        after_help = "Examples:\n  gather build\n  gather build --release   (what production serves)"
    )]
    Build(Box<Build>),
    /// Apply the migrations, and give the functions' database roles their passwords
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://admin:secret@db.internal/gather GATHER_MASTER_KEY=$(cat key) gather migrate"
    )]
    Migrate(Box<Migrate>),
    /// Serve what is built over a database that is migrated: production
    #[command(
        after_help = "Example:\n  gather serve --listen 0.0.0.0:3000 --metrics-listen 127.0.0.1:9000 \\\n    \
                            --public-url https://gather.example --drain-delay 5s"
    )]
    Serve(Box<Serve>),
    /// Run queued jobs over a database that is migrated; as many workers as you like
    #[command(
        after_help = "Examples (`gather up` has a worker within it):\n  gather worker\n  gather worker --jobs 4 --worker-lease 30s"
    )]
    Worker(Box<Worker>),
    /// Run skills for the functions, apart from them: compiles, limits and meters strangers' code
    #[command(
        after_help = "Example (`gather up` has a sandbox within it):\n  gather sandbox --sandbox-listen 10.0.0.7:3002 --public-url https://gather.example"
    )]
    Sandbox(Box<Sandbox>),
    /// Put secrets into requests for the functions, apart from them: the only process that opens secrets
    #[command(
        after_help = "Example (`gather up` has one within it):\n  gather egress --egress-listen 10.0.0.7:3004 --egress-hosts http://10.0.0.9:11434"
    )]
    Egress(Box<Egress>),
    /// Turn texts into vectors for the functions, apart from them, with the model that comes with the platform
    #[command(
        after_help = "Example (`gather up` has one within it); the others get --embed-url http://10.0.0.7:3005:\n  gather embed --embed-listen 10.0.0.7:3005"
    )]
    Embed(Box<Embed>),
    /// Make the containers of claws, apart from all else: the only process that touches a container runtime
    #[command(
        after_help = "Example (`gather up` starts one where there is Docker or Podman). Run it as root on the runtime's machine:\n  GATHER_PROVISIONER_KEY=… gather provisioner --provisioner-listen 10.0.0.7:8091 --public-url https://gather.example"
    )]
    Provisioner(Box<Provisioner>),
    /// Hold sockets and event streams, apart from the functions; as many gateways as you like
    #[command(
        after_help = "Example (`gather up` has a gateway within it). A proxy sends it /ws, /api/events/stream,\n/api/channels/{id}/ws and /api/channels/{id}/presence:\n  gather realtime --realtime-listen 10.0.0.7:3003 --public-url https://gather.example"
    )]
    Realtime(Box<Realtime>),
    /// The process that looks into components and compiles them; the sandbox starts it
    #[command(hide = true)]
    SandboxChild {
        /// What to do with the component on stdin
        work: ChildWork,
    },
    /// Check everything that serving needs, and say what to do
    #[command(after_help = "Example:\n  gather doctor || echo 'not ready'")]
    Doctor(Box<Doctor>),
    /// Print the variables that `spin up` needs, as shell commands
    #[command(
        after_help = "Example (while `gather up` runs in another terminal):\n  eval \"$(gather variables --public-url http://127.0.0.1:3001)\" && spin up --listen 127.0.0.1:3001"
    )]
    Variables(Box<Variables>),
    /// Manage the keys that sign access tokens
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  gather keys rotate"
    )]
    Keys(Keys),
    /// Make admins
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather admin create\n  gather admin create --account ada"
    )]
    Admin(admin::Command),
    /// Verify and export the audit trail
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather audit verify\n  gather audit export --since 2026-01-01T00:00:00Z"
    )]
    Audit(audit::Command),
    /// Copy all data into a folder, while the platform is running
    #[command(
        after_help = "Example (the master key is not part of it; keep it elsewhere):\n  gather backup /var/backups/gather-$(date +%F)"
    )]
    Backup(Box<backup::Backup>),
    /// Bring a backup into an empty database
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://admin:secret@db.internal/gather GATHER_MASTER_KEY=$(cat key) \\\n    \
                      gather restore /var/backups/gather-2026-01-31"
    )]
    Restore(Box<backup::Restore>),
    /// Make a small world of agents, channels, posts and skills on a server, to look at, or remove it
    #[command(
        after_help = "Examples (`gather up --demo` makes it at once):\n  gather demo\n  gather demo --remove"
    )]
    Demo(Demo),
    /// Be an agent: a client of a server's HTTP API
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather agent register --name ada\n  gather agent login\n  gather agent whoami"
    )]
    Agent(agent::Command),
    /// Talk in a channel: prints what is said, and sends each line of the input
    #[command(
        after_help = "Examples:\n  gather chat general\n  gather chat general --since 2h --follow < /dev/null\n  \
                      make test 2>&1 | tail -1 | gather chat builds --join --limit 0\n  \
                      gather chat general --json < /dev/null | jq -r '.data.body'"
    )]
    Chat(Box<live::Chat>),
    /// Follow what happens on the server
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  gather events tail --topic account:me"
    )]
    Events(live::Events),
    /// Be an author of skills: build, test, publish, verify
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example, from nothing to a published skill:\n  gather skill new my-words --lang python && cd my-words\n  gather skill build && gather skill test\n  gather skill publish"
    )]
    Skill(skill::Command),
    /// Make a function or a component of the platform, in its repository
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather new function notes\n  gather new component note-digest"
    )]
    New(new::Command),
    /// Have others told what happens here: their addresses, and what was sent there
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather webhook add https://example.org/gather --topic account:me\n  gather webhook list"
    )]
    Webhook(webhook::Command),
    /// Define work of many steps as data, run it, and look at what it does
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather pipeline publish review review.json\n  gather pipeline run review --watch"
    )]
    Pipeline(pipeline::Command),
    /// Start work at times
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather schedule preview --cron '30 2 * * *' --timezone Europe/Berlin\n  gather schedule list"
    )]
    Schedule(schedule::Command),
    /// Use language models, and look at what they cost
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather llm models\n  gather llm chat 'Why is the sky blue?'\n  gather llm usage --by day"
    )]
    Llm(llm::Command),
    /// Find what was noted, add to it, and have it forgotten
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather memory search 'what does Ada drink'\n  gather memory add 'Ada prefers tea.'"
    )]
    Memory(memory::Command),
    /// Talk with agents that the platform thinks for
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  gather circle talk planning"
    )]
    Circle(circle::Command),
    /// Make agents of your own, which the platform runs
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather claw create helper --persona researcher\n  gather claw list"
    )]
    Claw(claw::Command),
    /// Look at how agents thought
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  gather turn show 0192…"
    )]
    Turn(circle::TurnCommand),
    /// Store secrets, let others use them unseen, and see who did
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Examples:\n  gather secret set github --origin https://api.github.com --header authorization --format 'Bearer {}' < token.txt\n  gather secret list"
    )]
    Secret(secret::Command),
    /// Take what others send, as events
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  gather hook add github"
    )]
    Hook(webhook::HookCommand),
}
