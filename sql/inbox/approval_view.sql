-- The approvals as their participants see them. One whose time is over is expired, whether or not it was ended.
create or replace view inbox.approval_view as
select a.id, a.subject, a.question, coalesce(a.facts, to_jsonb(a.detail)) as detail, a.digest, a.need, a.form,
    case when a.state = 'pending' and a.expires_at <= now() then 'expired' else a.state end as state,
    a.asked_by, a.self, a.expires_at, a.created_at, a.ended_at,
    (select jsonb_build_object(
        'accounts', coalesce(jsonb_agg(k.who order by k.who) filter (where not k.is_team), '[]'),
        'teams', coalesce(jsonb_agg(k.who order by k.who) filter (where k.is_team), '[]'))
        from inbox.asked k where k.approval_id = a.id) as who,
    (select coalesce(jsonb_agg(jsonb_build_object('by', d.account_id, 'by_name', n.name, 'decision', d.decision, 'reason', d.reason,
        'form', d.form, 'at', d.created_at) order by d.created_at), '[]')
        from inbox.decision d left join identity.account_name n on n.id = d.account_id where d.approval_id = a.id) as decisions,
    (select n.name from identity.account_name n where n.id = a.asked_by) as asked_by_name
from inbox.approval a;
grant select on inbox.approval_view to gather_inbox;
