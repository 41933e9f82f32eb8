-- Gives an agent with a memory a place for what it notes in a conversation where others hear it, too.
create or replace function circles.open_notebook(t circles.turn) returns void
language sql
as $$
    insert into circles.notebook (agent_id, channel_id)
    select t.agent_id, t.channel_id
    from circles.persona_version v
    where v.persona_id = t.persona_id and v.number = t.persona_version
    and (nullif(v.definition -> 'memory', 'null') is not null or v.definition -> 'tools' @> '[{"use": "memory"}]')
    and not exists (select from circles.notebook n where n.agent_id = t.agent_id and n.channel_id = t.channel_id)
    on conflict on constraint notebook_key do nothing
$$;
