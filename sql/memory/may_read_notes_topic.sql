-- Whether an account may follow `notes:<id>`, on which it is told what becomes of notes, without their texts.
create or replace function memory.may_read_notes_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select memory.level_notes(account, platform.uuid_of(may_read_notes_topic.id)) is not null
$$;
