-- Whether a circle that is moderated would have nobody who names its speakers without this agent.
create or replace function circles.moderates_alone(c circles.circle, account uuid) returns boolean
language sql stable
as $$
    select c.mode = 'moderated' and circles.moderator_of(c.id) = account and not exists (
        select from circles.member m join circles.seat s on s.account_id = m.account_id
        where m.circle_id = c.id and m.role = 'moderator' and m.account_id <> moderates_alone.account)
$$;
