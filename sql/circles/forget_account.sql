-- Forgets an account that leaves: its agents leave with it, its turns end, its circles go on with others, and personas that
-- nobody else has are deleted.
create or replace function circles.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    m circles.member;
    s circles.seat;
begin
    perform circles.stop_turn(t.id) from circles.turn t where t.agent_id = account and t.finished_at is null;
    for s in select x.* from circles.seat x where x.owner_id = account order by x.account_id loop
        perform identity.leave(s.account_id, '{}');
    end loop;
    for m in select x.* from circles.member x where x.account_id = account order by x.circle_id loop
        perform from circles.circle c where c.id = m.circle_id for no key update;
        perform circles.exit(m.circle_id, account, null);
        update circles.member o set role = 'owner'
        where o.circle_id = m.circle_id and m.role = 'owner'
        and not exists (select from circles.member x where x.circle_id = m.circle_id and x.role = 'owner')
        and o.account_id = (select x.account_id from circles.member x join identity.account a on a.id = x.account_id
            where x.circle_id = m.circle_id and a.status = 'active'
            and not exists (select from circles.seat y where y.account_id = x.account_id)
            order by x.role = 'moderator' desc, x.joined_at, x.account_id limit 1);
        perform circles.end_circle(m.circle_id) where not exists (
            select from circles.member x where x.circle_id = m.circle_id);
    end loop;
    delete from circles.tool_source x where x.owner_id = account;
    delete from circles.summary y where y.agent_id = account;
    perform memory.end_space(p.id) from circles.notebook n
    join memory.space p on p.scope = 'notes' and p.place = n.id where n.agent_id = account;
    delete from circles.notebook n where n.agent_id = account;
    update circles.seat x set approvers = nullif(array_remove(x.approvers, account), '{}') where x.approvers @> array[account];
    delete from circles.vote v where v.account_id = account;
    delete from circles.seat x where x.account_id = account;
    delete from circles.persona p where p.owner_id = account
    and not exists (select from circles.seat x where x.persona_id = p.id)
    and not exists (select from circles.turn t where t.persona_id = p.id);
    update circles.persona p set deleted_at = now() where p.owner_id = account and p.deleted_at is null;
    delete from circles.idempotency_key k where k.owner = account::text;
end
$$;
