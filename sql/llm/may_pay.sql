-- Whether an account may have a subject pay for its calls, beside itself: its teams and the platform, agents that the
-- platform thinks for it, and circles in which such an agent has a turn at the moment.
create or replace function llm.may_pay(account uuid, subject text) returns boolean
language sql stable
as $$
    select exists (select from llm.owners_of(account) o where o.owner = may_pay.subject)
        or exists (select from circles.seat s where s.owner_id = may_pay.account and (
            may_pay.subject = 'account:' || s.account_id
            or may_pay.subject like 'circle:%' and exists (
                select from circles.turn t
                where t.agent_id = s.account_id and t.finished_at is null and may_pay.subject = 'circle:' || t.circle_id)))
$$;
