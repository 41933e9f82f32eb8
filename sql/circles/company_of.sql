-- The company of a turn, which hears what its agent says, so that the agent draws on what all of them may know. `is_own`:
-- it is only the agent's owner and the owner's agents. `is_circle`: it is only members of the turn's circle. A turn that
-- has asked for this one passes the answer on, so its company counts, too.
create or replace function circles.company_of(turn uuid) returns jsonb
language sql stable
as $$
    with heard as (
        select case when x.visible_to is null then b.account_id else v.account end as account
        from circles.askers_of(company_of.turn) x
        left join channels.member b on x.visible_to is null and b.channel_id = x.channel_id
        left join lateral unnest(x.visible_to) v (account) on true
        union
        -- Everybody.
        select null from circles.askers_of(company_of.turn) x join channels.channel c on c.id = x.channel_id
        where x.visible_to is null and not c.private)
    select jsonb_build_object(
        'is_own', not exists (select from heard h where h.account is null or h.account <> s.owner_id and not exists (
            select from circles.seat o where o.account_id = h.account and o.owner_id = s.owner_id)),
        'is_circle', t.circle_id is not null and not exists (select from heard h where h.account is null or not exists (
            select from circles.member m where m.circle_id = t.circle_id and m.account_id = h.account)))
    from circles.turn t join circles.seat s on s.account_id = t.agent_id
    where t.id = company_of.turn
$$;
