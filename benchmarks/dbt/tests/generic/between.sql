{% test between(model, column_name, least, most=none) %}
SELECT {{ column_name }}
FROM {{ model }}
WHERE {{ column_name }} < {{ least }}{% if most is not none %} OR {{ column_name }} > {{ most }}{% endif %}
{% endtest %}
