-- Whether programs have kept an agent speaking for so long that nobody seems to be there: within the last hour, and since a
-- person or the agent's owner wrote, they have written five times as many messages as replies may follow one another, each
-- without a turn that counts it. Clients of A2A ask for each answer, and so are never too many.
create or replace function circles.is_endless(m channels.message, agent uuid) returns boolean
language sql stable
as $$
    with owner as (
        select s.owner_id from circles.seat s where s.account_id = agent
    ), lately as (
        select x.seq, a.kind = 'agent' and a.id is distinct from (select o.owner_id from owner o) as by_program,
            exists (select from circles.turn t
                where t.id = platform.uuid_of(x.client_id) and t.agent_id = x.author_id) as by_turn
        from (select y.* from channels.message y where y.channel_id = m.channel_id order by y.seq desc limit 500) x
        join identity.account a on a.id = x.author_id
        where x.created_at > m.created_at - interval '1 hour' and x.copied_from is null
    )
    select not exists (select from circles.conversation v
            where v.channel_id = m.channel_id and v.door is not null and v.created_by = m.author_id)
        and (select count(*) from lately l where l.by_program and not l.by_turn
            and l.seq > coalesce((select max(p.seq) from lately p where not p.by_program), 0))
            > 5 * coalesce((select (c.rules ->> 'hops')::integer from circles.conversation v
                join circles.circle c on c.id = v.circle_id where v.channel_id = m.channel_id), 8)
$$;
