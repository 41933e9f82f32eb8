-- Greetings of personas, tasks that take more than one message, and accepted proposals that become memory as they are decided.

-- The greeting of a version as a message: {body, html, plain, words, names, all}. Null: it has none.
alter table circles.persona_version add column greeting jsonb;

-- The task of A2A, named by its first turn, that the message belongs to which caused this turn. Null: it is none's, or its own.
alter table circles.turn add column task_id uuid
    constraint turn_task_id_fkey references circles.turn (id) on delete cascade;
create index turn_task on circles.turn (task_id) where task_id is not null;

-- The vote that decides notes what is accepted.
insert into events.emitter (role, prefix) values ('gather_circles', 'memory.');
insert into jobs.enqueuer (role, kind) values ('gather_circles', 'memory-embed'), ('gather_circles', 'memory-consolidate');
drop function if exists circles.keep_proposal(uuid, uuid);
drop function if exists circles.vote(uuid, text, uuid, integer, text);

-- Speakers with programs of their own have their turns in rounds, and name who is next.
drop function if exists circles.next_in_round(circles.circle, uuid, integer);
drop function if exists circles.complete_turn(uuid, uuid, jsonb);

-- A refusal says when to try again.
drop function if exists circles.refused(text);
