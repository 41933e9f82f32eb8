-- Keeps the id of the memory that an accepted proposal became.
create or replace function circles.keep_proposal(proposal uuid, memory uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update circles.proposal p set memory_id = keep_proposal.memory
    where p.id = keep_proposal.proposal and p.status = 'accepted' and p.memory_id is null
$$;
grant execute on function circles.keep_proposal(uuid, uuid) to gather_circles;
