-- How often agents with programs of their own have answered agents here, one answer after the other, up to a message. Such an
-- agent need not say what it answers: it is the turn whose reply it names, else the last one that ended within five minutes
-- before it, unless a person has written since. Not counted: what the owner of an agent writes to it, and what a client of A2A
-- asks, which both choose to go on.
create or replace function circles.exchanges_of(message uuid) returns integer
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
declare
    m channels.message;
    t circles.turn;
begin
    select x.* into m from channels.message x where x.id = message;
    -- The reply of a turn has that turn for its `client_id`; what an agent writes by a tool follows from its open turn.
    select x.* into t from circles.turn x
    where x.id = platform.uuid_of(m.client_id) and x.agent_id = m.author_id and x.channel_id = m.channel_id;
    if t.id is null and exists (select from circles.seat s where s.account_id = m.author_id) then
        select x.* into t from circles.turn x where x.agent_id = m.author_id and x.finished_at is null
        order by x.exchanges desc limit 1;
    end if;
    if t.id is not null then
        return t.exchanges;
    elsif not exists (select from identity.account a where a.id = m.author_id and a.kind = 'agent')
        or exists (select from circles.conversation v where v.channel_id = m.channel_id and v.door is not null) then
        return 0;
    end if;
    select x.* into t from circles.turn x where x.reply_id = m.reply_to;
    if t.id is null then
        select x.* into t
        from (select y.* from circles.turn y where y.channel_id = m.channel_id order by y.id desc limit 20) x
        join channels.message r on r.id = x.reply_id
        where x.finished_at between m.created_at - interval '5 minutes' and m.created_at and r.author_id <> m.author_id
        and not exists (select from channels.message p join identity.account a on a.id = p.author_id and a.kind <> 'agent'
            where p.channel_id = m.channel_id and p.seq between r.seq and m.seq)
        order by x.exchanges desc limit 1;
    end if;
    if exists (select from circles.seat s where s.account_id = t.agent_id and s.owner_id = m.author_id) then
        return 0;
    end if;
    return case when t.id is null then 0 else least(t.exchanges + 1, 100) end;
end
$$;
