-- Votes about a proposal, and decides it with the vote that reaches the quorum: what is accepted becomes the circle's memory
-- in the same transaction. A vote that was given can be changed until then. Whoever repeats the vote that decided gets the
-- decision.
--   found_by  of the proposal's text, as `circles.note_proposal` takes it
create or replace function circles.vote(account uuid, ref text, proposal uuid, value integer, reason text,
    found_by jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    c circles.circle := circles.lock_circle(account, ref);
    p circles.proposal;
    balance bigint;
    votes bigint;
begin
    select x.* into p from circles.proposal x where x.id = vote.proposal and x.circle_id = c.id for update;
    if p.id is null then
        return circles.refused('proposal-not-found');
    elsif coalesce(circles.role_of(account, c.id), 'observer') = 'observer' then
        return circles.refused('not-a-member');
    elsif p.status <> 'open' then
        return case when exists (select from circles.vote v where v.proposal_id = p.id and v.account_id = account
                and v.value = vote.value) then jsonb_build_object('ok', circles.proposal_json(p))
            else circles.refused('proposal-decided') end;
    end if;
    insert into circles.vote as v (proposal_id, account_id, value, reason) values (p.id, account, vote.value, vote.reason)
    on conflict on constraint vote_pkey do update set value = excluded.value, reason = excluded.reason, at = excluded.at;
    select count(*), coalesce(sum(v.value), 0) into votes, balance from circles.vote v where v.proposal_id = p.id;
    if votes >= circles.quorum_of(c.id) then
        update circles.proposal x set status = case when balance > 0 then 'accepted' else 'rejected' end,
            decided_at = clock_timestamp()
        where x.id = p.id returning x.* into p;
        if p.status = 'accepted' then
            update circles.proposal x set memory_id = circles.note_proposal(account, p, found_by)
            where x.id = p.id returning x.* into p;
        end if;
        perform events.emit(array['circle:' || c.id], 'proposal.decided', circles.proposal_json(p), null, account);
    end if;
    return jsonb_build_object('ok', circles.proposal_json(p));
end
$$;
grant execute on function circles.vote(uuid, text, uuid, integer, text, jsonb) to gather_circles;
