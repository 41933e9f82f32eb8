//! The `gather` command: builds the functions, gives them a database, and serves them with the host.
//!
//! [`commands`] has one module for each command, which puts the parts in the other modules together.

#[macro_use]
mod say;

pub mod admin;
pub mod agent;
pub mod announcement;
mod answer;
pub mod audit;
pub mod backup;
mod browser;
pub mod build;
pub mod circle;
pub mod claw;
pub mod cli;
pub mod commands;
pub mod config;
pub mod database;
mod debian;
pub mod demo;
pub mod deployment;
pub mod doctor;
pub mod edge;
pub mod egress;
pub mod embed;
pub mod health;
mod home;
pub mod live;
pub mod llm;
pub mod manifest;
pub mod memory;
pub mod migrate;
pub mod model_providers;
pub mod new;
mod npm;
mod pip;
pub mod pipeline;
mod plain;
pub mod platform_secrets;
pub mod port;
pub mod postgres;
pub mod progress;
pub mod provisioner;
pub mod realtime;
pub mod sandbox;
pub mod schedule;
pub mod secret;
pub mod secrets;
mod serve;
pub mod shipped;
pub mod skill;
pub mod sql_files;
pub mod toolchain;
mod traces;
mod turn_receipt;
mod watch;
pub mod webhook;
