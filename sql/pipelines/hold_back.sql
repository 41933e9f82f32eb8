-- What a breaker that is open makes of a step, by its definition: {"status", "error", "wake_in_ms"}.
create or replace function pipelines.hold_back(said jsonb, open_ms double precision) returns jsonb
language sql immutable
as $$
    select case said ->> 'on_open'
        when 'skip' then '{"status": "skipped"}'
        when 'wait' then jsonb_build_object('status', 'retrying', 'wake_in_ms', open_ms)
        else '{"status": "failed"}'
    end || jsonb_build_object('error', jsonb_build_object('code', 'circuit-open', 'detail',
        'Requests of this node are held back, since too many have failed.'))
$$;
