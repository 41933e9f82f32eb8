-- Whether an owner of agents in a conversation has so many turns of its agents that have not ended, here and elsewhere, that
-- nobody may begin more by writing here: 1,000.
create or replace function circles.is_crowded(channel uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from (
            select distinct s.owner_id from channels.member b join circles.seat s on s.account_id = b.account_id
            where b.channel_id = is_crowded.channel) o
        where (select count(*) from (
            select from circles.seat x join circles.turn t on t.agent_id = x.account_id and t.finished_at is null
            where x.owner_id = o.owner_id limit 1000) n) >= 1000)
$$;
