-- Whether a circle that is moderated would have nobody who names its speakers without this account.
create or replace function circles.moderates_alone(c circles.circle, account uuid) returns boolean
language sql stable
as $$
    select c.mode = 'moderated' and circles.role_of(account, c.id) = 'moderator' and not exists (
        select from circles.member m
        where m.circle_id = c.id and m.role = 'moderator' and m.account_id <> moderates_alone.account)
$$;
