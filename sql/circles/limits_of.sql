-- The limits of a turn: those of its persona, where it has any, and of its conversation, if these are lower.
create or replace function circles.limits_of(t circles.turn) returns jsonb
language sql stable
as $$
    select o.own || coalesce((select jsonb_object_agg(l.key, least(l.value::numeric, (o.own ->> l.key)::numeric))
        from circles.conversation v cross join jsonb_each_text(v.limits) l where v.channel_id = t.channel_id), '{}')
    from (select '{"steps": 40, "turn_ms": 900000, "approval_ms": 3600000, "window_tokens": 128000}'::jsonb
        || coalesce((select v.definition -> 'limits' from circles.persona_version v
            where v.persona_id = t.persona_id and v.number = t.persona_version), '{}') as own) o
$$;
