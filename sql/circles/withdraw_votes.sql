-- Takes back an account's votes on what a circle has not decided yet: it may not vote there any more.
create or replace function circles.withdraw_votes(circle uuid, account uuid) returns void
language sql
as $$
    delete from circles.vote v using circles.proposal p
    where p.circle_id = circle and p.status = 'open' and v.proposal_id = p.id and v.account_id = withdraw_votes.account
$$;
