-- The data of events about a job.
create or replace function jobs.event_data(id uuid, kind text, status text, percent smallint, note text) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('id', id, 'kind', kind, 'status', status,
        'progress', jsonb_build_object('percent', percent, 'note', note))
$$;
