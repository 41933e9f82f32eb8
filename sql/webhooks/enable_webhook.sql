-- Sends to a webhook again that was disabled, or tries one at once that fails. Whether there is such a webhook, of the
-- owner or, for administrators, of anybody.
create or replace function webhooks.enable_webhook(owner uuid, webhook uuid, is_admin boolean) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform identity.require_active(owner);
    update webhooks.webhook w
    set disabled = null, failing_since = null, failures = 0, retry_at = null, noted_at = null
    where w.id = webhook and (w.owner_id = owner or is_admin);
    if not found then
        return false;
    end if;
    perform jobs.hurry('webhook:' || webhook);
    return true;
end
$$;
grant execute on function webhooks.enable_webhook to gather_webhooks;
