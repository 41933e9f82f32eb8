//! The end-to-end tests: one program, a module for each file. Generated: see tests/platform/generated.

mod functions {
    pub(crate) mod accounts {
        pub(crate) mod api_keys;
        pub(crate) mod audit;
        pub(crate) mod ownership;
        pub(crate) mod public;
        pub(crate) mod teams;
    }
    pub(crate) mod channels {
        pub(crate) mod actions;
        pub(crate) mod direct;
        pub(crate) mod directory;
        pub(crate) mod history;
        pub(crate) mod messages;
        pub(crate) mod moderation;
        pub(crate) mod notices;
        pub(crate) mod races;
        pub(crate) mod world;
    }
    pub(crate) mod circles {
        pub(crate) mod a2a;
        pub(crate) mod contract;
        pub(crate) mod keys;
        pub(crate) mod live;
        pub(crate) mod pages;
        pub(crate) mod personas;
        pub(crate) mod programs;
        pub(crate) mod proposals;
        pub(crate) mod rights;
        pub(crate) mod rounds;
        pub(crate) mod scenarios;
        pub(crate) mod streams;
        pub(crate) mod talking;
        pub(crate) mod tasks;
    }
    pub(crate) mod claws {
        pub(crate) mod approvers;
        pub(crate) mod containers;
        pub(crate) mod ends;
        pub(crate) mod handed;
        pub(crate) mod life;
        pub(crate) mod pages;
        pub(crate) mod program;
        pub(crate) mod rights;
        pub(crate) mod waking;
    }
    pub(crate) mod edge {
        pub(crate) mod knowledge;
        pub(crate) mod pushes;
    }
    pub(crate) mod events;
    pub(crate) mod identity {
        pub(crate) mod client;
        pub(crate) mod exchange;
        pub(crate) mod registration;
        pub(crate) mod rotation;
        pub(crate) mod signatures;
        pub(crate) mod tokens;
    }
    pub(crate) mod inbox {
        pub(crate) mod approval_races;
        pub(crate) mod approvals;
        pub(crate) mod arrivals;
        pub(crate) mod items;
        pub(crate) mod notes;
        pub(crate) mod questions;
    }
    pub(crate) mod jobs {
        pub(crate) mod history;
        pub(crate) mod owned;
    }
    pub(crate) mod llm {
        pub(crate) mod aliases;
        pub(crate) mod crowd;
        pub(crate) mod faults;
        pub(crate) mod hosted;
        pub(crate) mod keys;
        pub(crate) mod kills;
        pub(crate) mod local;
        pub(crate) mod metrics;
        pub(crate) mod money;
        pub(crate) mod odd_answers;
        pub(crate) mod passing;
        pub(crate) mod patience;
        pub(crate) mod retries;
        pub(crate) mod sdks;
        pub(crate) mod world;
    }
    pub(crate) mod mcp {
        pub(crate) mod official;
        pub(crate) mod protocol;
        pub(crate) mod tools;
    }
    pub(crate) mod memory {
        pub(crate) mod command;
        pub(crate) mod notes;
        pub(crate) mod quality;
        pub(crate) mod recalling;
        pub(crate) mod scopes;
        pub(crate) mod searching;
        pub(crate) mod world;
    }
    pub(crate) mod people {
        pub(crate) mod claims;
        pub(crate) mod guessing;
        pub(crate) mod passkey_device;
        pub(crate) mod passkeys;
        pub(crate) mod passwords;
        pub(crate) mod provider;
        pub(crate) mod resets;
        pub(crate) mod sessions;
        pub(crate) mod stand_in;
    }
    pub(crate) mod pipelines {
        pub(crate) mod calendar;
        pub(crate) mod command;
        pub(crate) mod contract;
        pub(crate) mod definitions;
        pub(crate) mod deliveries;
        pub(crate) mod triggers;
    }
    pub(crate) mod realtime {
        pub(crate) mod clients;
        pub(crate) mod credentials;
        pub(crate) mod crowd;
        pub(crate) mod faults;
        pub(crate) mod gateway;
        pub(crate) mod presence;
        pub(crate) mod rights;
    }
    pub(crate) mod search {
        pub(crate) mod finders;
        pub(crate) mod meanings;
        pub(crate) mod results;
    }
    pub(crate) mod site {
        pub(crate) mod channels;
        pub(crate) mod chromium {
            pub(crate) mod drafts;
            pub(crate) mod keys;
            pub(crate) mod live;
            pub(crate) mod pages;
            pub(crate) mod routes;
            pub(crate) mod tabs;
            pub(crate) mod way;
            pub(crate) mod world;
        }
        pub(crate) mod enter;
        pub(crate) mod files;
        pub(crate) mod frame;
        pub(crate) mod hostile;
        pub(crate) mod landing;
        pub(crate) mod memory;
        pub(crate) mod models;
        pub(crate) mod operator;
        pub(crate) mod people;
        pub(crate) mod personal;
        pub(crate) mod pipelines;
        pub(crate) mod posts;
        pub(crate) mod runs;
        pub(crate) mod secrets;
        pub(crate) mod skills;
    }
    pub(crate) mod skills {
        pub(crate) mod asynchronous;
        pub(crate) mod authors;
        pub(crate) mod calls;
        pub(crate) mod catalogue;
        pub(crate) mod publishing;
        pub(crate) mod ratings;
        pub(crate) mod search;
        pub(crate) mod turns;
    }
    pub(crate) mod social {
        pub(crate) mod attacks;
        pub(crate) mod blocks;
        pub(crate) mod comments;
        pub(crate) mod feed;
        pub(crate) mod moderation;
        pub(crate) mod posts;
        pub(crate) mod town;
    }
    pub(crate) mod vault {
        pub(crate) mod canary;
        pub(crate) mod commands;
        pub(crate) mod endings;
        pub(crate) mod fetching;
        pub(crate) mod secrets;
        pub(crate) mod target;
        pub(crate) mod world;
    }
    pub(crate) mod webhooks {
        pub(crate) mod command;
        pub(crate) mod hooks;
        pub(crate) mod libraries;
        pub(crate) mod owned;
        pub(crate) mod sources;
    }
}

mod jobs {
    pub(crate) mod account_purge;
    pub(crate) mod agent_turn {
        pub(crate) mod approving;
        pub(crate) mod asking;
        pub(crate) mod canaries;
        pub(crate) mod crashes;
        pub(crate) mod ending;
        pub(crate) mod faults;
        pub(crate) mod forks;
        pub(crate) mod gamemaster;
        pub(crate) mod long_results;
        pub(crate) mod lost_sandbox;
        pub(crate) mod memory;
        pub(crate) mod official;
        pub(crate) mod patience;
        pub(crate) mod protocols;
        pub(crate) mod races;
        pub(crate) mod receipts;
        pub(crate) mod servers;
        pub(crate) mod summing;
        pub(crate) mod thinking;
        pub(crate) mod tools;
        pub(crate) mod waiting;
        pub(crate) mod world;
    }
    pub(crate) mod claw_provision {
        pub(crate) mod cases;
        pub(crate) mod faults;
        pub(crate) mod generations;
        pub(crate) mod leases;
        pub(crate) mod losses;
    }
    pub(crate) mod faults;
    pub(crate) mod mail_delivery;
    pub(crate) mod memory_alike;
    pub(crate) mod memory_consolidate;
    pub(crate) mod memory_embed;
    pub(crate) mod memory_forget;
    pub(crate) mod pipeline_run {
        pub(crate) mod after;
        pub(crate) mod agents;
        pub(crate) mod answers;
        pub(crate) mod cancelling;
        pub(crate) mod commits;
        pub(crate) mod engine;
        pub(crate) mod events;
        pub(crate) mod failpoints;
        pub(crate) mod faults;
        pub(crate) mod flow;
        pub(crate) mod limits;
        pub(crate) mod nested;
        pub(crate) mod outages;
        pub(crate) mod random;
        pub(crate) mod refused;
        pub(crate) mod requests;
        pub(crate) mod rights;
        pub(crate) mod scenarios;
        pub(crate) mod skills;
        pub(crate) mod world;
    }
    pub(crate) mod run;
    pub(crate) mod schedule_dispatch {
        pub(crate) mod times;
        pub(crate) mod work;
        pub(crate) mod world;
    }
    pub(crate) mod search_embed;
    pub(crate) mod skill_rank;
    pub(crate) mod skill_review;
    pub(crate) mod subscriptions {
        pub(crate) mod bounds;
        pub(crate) mod faults;
        pub(crate) mod starts;
        pub(crate) mod world;
    }
    pub(crate) mod webhook_delivery {
        pub(crate) mod crowd;
        pub(crate) mod deliveries;
        pub(crate) mod faults;
        pub(crate) mod libraries;
        pub(crate) mod metrics;
        pub(crate) mod world;
    }
}

mod platform {
    pub(crate) mod access;
    pub(crate) mod backup;
    pub(crate) mod bounds;
    pub(crate) mod chat {
        pub(crate) mod commands;
        pub(crate) mod way;
    }
    pub(crate) mod database;
    pub(crate) mod deadlocks;
    pub(crate) mod demo;
    pub(crate) mod deployment;
    pub(crate) mod edge {
        pub(crate) mod answers;
        pub(crate) mod functions;
        pub(crate) mod rights;
        pub(crate) mod sockets;
    }
    pub(crate) mod english;
    pub(crate) mod faults;
    pub(crate) mod full_disk;
    pub(crate) mod generated {
        pub(crate) mod comparison;
        pub(crate) mod documents;
        pub(crate) mod grants;
        pub(crate) mod openapi;
        pub(crate) mod packages;
        pub(crate) mod problems;
        pub(crate) mod spin;
        pub(crate) mod tests;
    }
    pub(crate) mod interfaces;
    pub(crate) mod lists;
    pub(crate) mod manners;
    pub(crate) mod openapi;
    pub(crate) mod outgoing;
    pub(crate) mod overload;
    pub(crate) mod portability;
    pub(crate) mod rate_limits;
    pub(crate) mod refused_input;
    pub(crate) mod reload;
    pub(crate) mod repository;
    pub(crate) mod schemathesis;
    pub(crate) mod serving;
    pub(crate) mod statements;
    pub(crate) mod traces;
    pub(crate) mod visitor;
    pub(crate) mod wasi_http;
}

mod provisioner {
    pub(crate) mod claws;
    pub(crate) mod escapes;
    pub(crate) mod faults;
    pub(crate) mod life;
    pub(crate) mod world;
}

mod sandbox {
    pub(crate) mod callers;
    pub(crate) mod front_door;
    pub(crate) mod hostile {
        pub(crate) mod fixtures;
        pub(crate) mod oversized;
        pub(crate) mod written;
    }
    pub(crate) mod random_components;
    pub(crate) mod storage;
}
