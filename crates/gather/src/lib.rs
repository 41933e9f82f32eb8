//! The `gather` command: builds the functions, gives them a database, and serves them with the host.
//!
//! [`commands`] has one module for each command, which puts the parts in the other modules together.

pub mod admin;
pub mod agent;
pub mod announcement;
mod answer;
pub mod audit;
pub mod backup;
pub mod build;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
pub mod deployment;
pub mod doctor;
pub mod egress;
pub mod health;
mod home;
pub mod live;
pub mod llm;
pub mod manifest;
pub mod migrate;
mod model_providers;
pub mod new;
mod npm;
pub mod pipeline;
mod plain;
pub mod platform_secrets;
pub mod port;
pub mod postgres;
pub mod progress;
pub mod realtime;
pub mod sandbox;
pub mod secret;
pub mod secrets;
mod serve;
pub mod skill;
pub mod sql_files;
pub mod toolchain;
mod watch;
pub mod webhook;
