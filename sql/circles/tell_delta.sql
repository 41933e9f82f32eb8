-- Passes on what a model says while it says it: to who follows the turn and, unless the turn is a whisper's, the
-- conversation. Nothing of that is kept but `partial`, for who comes later; null leaves it as it is. Returns whether the
-- turn still goes on.
create or replace function circles.tell_delta(turn uuid, holder text, step integer, at integer, piece text, partial text)
returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    topic text;
begin
    select x.* into t from circles.turn x where x.id = turn and x.holder = tell_delta.holder;
    if piece <> '' and t.status = 'running' then
        update circles.step x set spoke_at = clock_timestamp()
        where x.turn_id = t.id and x.number = tell_delta.step and tell_delta.at = 0 and x.spoke_at is null;
        foreach topic in array array['turn:' || t.id]
            || case when t.visible_to is null then array['conversation:' || t.channel_id] else '{}' end
        loop
            perform pg_notify('ephemeral', jsonb_build_object('topic', topic, 'type', 'turn.delta', 'account', t.agent_id,
                'data', jsonb_build_object('turn', t.id, 'step', tell_delta.step, 'offset', tell_delta.at,
                    'text', tell_delta.piece))::text);
        end loop;
    end if;
    if tell_delta.partial is not null and t.status in ('running', 'cancelled') then
        update circles.turn x set partial = tell_delta.partial where x.id = t.id and x.holder = tell_delta.holder;
        update circles.step x set text = tell_delta.partial
        where x.turn_id = t.id and x.number = tell_delta.step and t.status = 'cancelled' and x.kind = 'model'
        and x.status = 'failed';
    end if;
    return coalesce(t.status = 'running', false);
end
$$;
grant execute on function circles.tell_delta(uuid, text, integer, integer, text, text) to gather_agent_turn;
