-- The data of an account in the inbox, for its export: the newest 10,000 of each.
create or replace function inbox.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'items', (select coalesce(jsonb_agg(to_jsonb(e) order by e.id desc), '[]') from (
            select i.id, i.kind, i.title, i.text, i.link, i.read_at, i.archived_at, i.created_at
            from inbox.item i where i.account_id = export_account.account order by i.id desc limit 10000) e),
        'settings', (select coalesce(jsonb_object_agg(s.kind, jsonb_build_object('inbox', s.inbox)), '{}')
            from inbox.setting s where s.account_id = export_account.account),
        'asked', (select coalesce(jsonb_agg(to_jsonb(e) order by e.id desc), '[]') from (
            select a.id, a.subject, a.question, coalesce(a.facts, to_jsonb(a.detail)) as detail, a.state, a.created_at
            from inbox.approval a where a.asked_by = export_account.account order by a.id desc limit 10000) e),
        'decisions', (select coalesce(jsonb_agg(to_jsonb(e) order by e.approval_id desc), '[]') from (
            select d.approval_id, d.decision, d.reason, d.form, d.created_at
            from inbox.decision d where d.account_id = export_account.account order by d.approval_id desc limit 10000) e))
$$;
