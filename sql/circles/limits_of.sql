-- The limits of a turn: those of its persona, where it has any.
create or replace function circles.limits_of(t circles.turn) returns jsonb
language sql stable
as $$
    select '{"steps": 40, "turn_ms": 900000, "approval_ms": 3600000, "window_tokens": 128000}'::jsonb
        || coalesce((select v.definition -> 'limits' from circles.persona_version v
            where v.persona_id = t.persona_id and v.number = t.persona_version), '{}')
$$;
